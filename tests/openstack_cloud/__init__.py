"""A real OpenStack for tests: keystone, glance, placement, nova and neutron from PyPI, RabbitMQ from Debian.

Only the last step is not real: nova's own FakeDriver says that it runs servers, and runs none.
"""
