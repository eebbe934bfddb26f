"""What the hub's REST API says and does about sessions."""
