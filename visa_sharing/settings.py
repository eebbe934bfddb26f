"""What a site decides about letting people into sessions. Configured as `c.VisaSharing.*`."""

from __future__ import annotations

from traitlets import Bool, Enum, Float, Integer, List, Unicode
from traitlets.config import Config, SingletonConfigurable

from visa_catalogue.account import Role


class VisaSharing(SingletonConfigurable):
    """The site's settings for sharing, support and the audit log."""

    outsiders_may_watch = Bool(
        False,
        help="""Let owners admit, as viewers, people who may not see all of the session's experiments by
        themselves. The owner is shown which experiments those are and has to agree. Off, such people
        cannot be let in at all.""",
    ).tag(config=True)
    hub_shares = Bool(
        False,
        help="""Let shares count that somebody made by the hub's own API, within the same rules as all
        others. For sites whose own service shares servers for their owners. Off, such a share is taken
        away again, since whoever may make one (a hub admin, a service with the scope `shares`) could let
        anybody into any session without its owner.""",
    ).tag(config=True)
    owner_away = Enum(
        ("leave", "view-only", "disconnect"),
        "leave",
        help="""What happens to the others when the owner's last connection closes: nothing, they can only
        watch until the owner is back, or they are disconnected until then. An owner's own lock makes
        "leave" into "view-only" for one session; nothing makes it weaker.""",
    ).tag(config=True)
    trust_seconds = Float(
        60,
        min=5,
        help="""How long a session that cannot reach the hub goes on believing who its members are. After
        that nobody but its owner gets in or stays in, until the hub answers. Longer rides out longer
        restarts of the hub; shorter ends a membership sooner where the network between them is cut.""",
    ).tag(config=True)
    support_hours = Float(
        2,
        min=0.001,
        help="How long support stays in a session at most after its owner let it in.",
    ).tag(config=True)
    ask_minutes = Float(
        10,
        min=0.02,
        help="How long support's request to join waits for the owner's answer before it lapses.",
    ).tag(config=True)
    owner_absent = Enum(
        ("never", "two-staff"),
        "never",
        help="""Whether support may enter while the owner does not answer: never, or when two people of
        different staff roles agree. The owner is told at the next login either way.""",
    ).tag(config=True)
    helpdesk_roles = List(
        Unicode(),
        [Role.HELPDESK, Role.ADMINISTRATOR],
        help="""Facility roles that may offer help in any session. Instrument scientists may on their
        instruments, local contacts on their experiments, whatever stands here.""",
    ).tag(config=True)
    link_max_hours = Float(168, min=0.1, help="Longest life of an invitation link.").tag(config=True)
    link_max_uses = Integer(50, min=1, help="How many people one invitation link may let in.").tag(
        config=True
    )
    refresh_seconds = Float(
        60,
        min=1,
        help="""How often the identity provider is asked again about members who are in somebody else's
        session now. Shorter notices a blocked account sooner where the provider does not tell by itself
        (back-channel logout); it costs the provider one request a member.""",
    ).tag(config=True)
    events_file = Unicode(
        "",
        help="""File that the audit log is appended to, one JSON object a line, beside the database. Empty:
        database only.""",
    ).tag(config=True)

    @classmethod
    def of(cls, config: Config) -> VisaSharing:
        """The one of this hub, made at first use."""
        return cls.instance(config=config)
