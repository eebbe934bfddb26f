import pytest
from sharing_hub import a_sharing_hub


@pytest.fixture(scope="module")
def hub():
    """One hub for a module's tests."""
    with a_sharing_hub() as hub:
        yield hub
