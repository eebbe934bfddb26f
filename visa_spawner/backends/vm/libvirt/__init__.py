"""Machines of libvirt on the hub's own host: QEMU domains, one link of the network and one share each."""
