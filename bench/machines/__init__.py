"""Sessions in virtual machines: what a start takes beside the bare boot, and what watching them costs."""
