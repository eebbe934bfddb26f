"""Sharing, support and the audit log"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visa_drained_nodes",
        sa.Column("backend", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("backend", "node", name=op.f("pk_visa_drained_nodes")),
    )
    op.create_table(
        "visa_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=255), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("whom", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visa_events")),
        sa.UniqueConstraint("key", name=op.f("uq_visa_events_key")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("visa_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_visa_events_at"), ["at"], unique=False)
        batch_op.create_index("ix_visa_events_session", ["owner", "session"], unique=False)
        batch_op.create_index(batch_op.f("ix_visa_events_what"), ["what"], unique=False)
        batch_op.create_index(batch_op.f("ix_visa_events_who"), ["who"], unique=False)
        batch_op.create_index(batch_op.f("ix_visa_events_whom"), ["whom"], unique=False)

    op.create_table(
        "visa_grants",
        sa.Column("share_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("by_way_of", sa.String(length=255), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("granted_at", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=True),
        sa.Column("despite", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"], ["shares.id"], name=op.f("fk_visa_grants_share_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("share_id", name=op.f("pk_visa_grants")),
    )
    op.create_table(
        "visa_links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("spawner_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("expires", sa.DateTime(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["spawner_id"], ["spawners.id"], name=op.f("fk_visa_links_spawner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visa_links")),
        sa.UniqueConstraint("digest", name=op.f("uq_visa_links_digest")),
    )
    with op.batch_alter_table("visa_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_visa_links_spawner_id"), ["spawner_id"], unique=False)

    op.create_table(
        "visa_not_again",
        sa.Column("spawner_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["spawner_id"], ["spawners.id"], name=op.f("fk_visa_not_again_spawner_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_visa_not_again_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("spawner_id", "user_id", name=op.f("pk_visa_not_again")),
    )
    op.create_table(
        "visa_notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("instrument", sa.String(length=200), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=True),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=255), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visa_notices")),
    )
    with op.batch_alter_table("visa_notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_visa_notices_account"), ["account"], unique=False)

    op.create_table(
        "visa_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("spawner_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("staff", sa.String(length=255), nullable=False),
        sa.Column("staff_role", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("lapses_at", sa.DateTime(), nullable=True),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["spawner_id"], ["spawners.id"], name=op.f("fk_visa_requests_spawner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visa_requests")),
    )
    with op.batch_alter_table("visa_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_visa_requests_spawner_id"), ["spawner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_visa_requests_state"), ["state"], unique=False)

    op.create_table(
        "visa_session_policies",
        sa.Column("spawner_id", sa.Integer(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["spawner_id"],
            ["spawners.id"],
            name=op.f("fk_visa_session_policies_spawner_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("spawner_id", name=op.f("pk_visa_session_policies")),
    )
    op.create_table(
        "visa_team_shares",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("spawner_id", sa.Integer(), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["spawner_id"], ["spawners.id"], name=op.f("fk_visa_team_shares_spawner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visa_team_shares")),
    )
    with op.batch_alter_table("visa_team_shares", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_visa_team_shares_spawner_id"), ["spawner_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("visa_team_shares", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_team_shares_spawner_id"))

    op.drop_table("visa_team_shares")
    op.drop_table("visa_session_policies")
    with op.batch_alter_table("visa_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_requests_state"))
        batch_op.drop_index(batch_op.f("ix_visa_requests_spawner_id"))

    op.drop_table("visa_requests")
    with op.batch_alter_table("visa_notices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_notices_account"))

    op.drop_table("visa_notices")
    op.drop_table("visa_not_again")
    with op.batch_alter_table("visa_links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_links_spawner_id"))

    op.drop_table("visa_links")
    op.drop_table("visa_grants")
    with op.batch_alter_table("visa_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_events_whom"))
        batch_op.drop_index(batch_op.f("ix_visa_events_who"))
        batch_op.drop_index(batch_op.f("ix_visa_events_what"))
        batch_op.drop_index("ix_visa_events_session")
        batch_op.drop_index(batch_op.f("ix_visa_events_at"))

    op.drop_table("visa_events")
    op.drop_table("visa_drained_nodes")
