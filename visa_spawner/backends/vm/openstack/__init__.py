"""Machines of an OpenStack: servers of nova's, reached by its APIs alone; docs/operators/openstack.md."""
