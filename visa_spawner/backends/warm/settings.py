"""What an operator may turn about containers that wait, written as `c.ContainerBackend.*`."""

from __future__ import annotations

from jupyterhub.traitlets import ByteSpecification
from traitlets import HasTraits, Integer, TraitError, validate


class WarmSettings(HasTraits):
    """Settings of waiting containers; which plans have them say the profiles, by `warm: true`."""

    warm_memory = ByteSpecification(
        0,
        help="""Memory of each node that waiting containers may take together; 0: none wait. More lets more
        starts find one, in a second rather than several; it is memory that nothing else uses meanwhile, and
        that a session gets back at once when it needs the room.""",
    ).tag(config=True)
    warm_most = Integer(
        8,
        min=1,
        help="""Waiting containers of one plan on one node, at most, however many starts are expected. Higher:
        a course that starts together finds more of them, where `warm_memory` has room.""",
    ).tag(config=True)

    @validate("warm_memory")
    def _check_warm_memory(self, proposal):
        if proposal.value < 0:
            raise TraitError("ContainerBackend.warm_memory must be 0 or more bytes")
        return proposal.value
