"""Passports of sessions"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visa_software",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_visa_software")),
    )
    op.create_table(
        "visa_passports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("session", sa.String(length=255), nullable=False),
        sa.Column("started", sa.DateTime(), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.String(length=64), nullable=False),
        sa.Column("software", sa.String(length=80), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["software"], ["visa_software.key"], name=op.f("fk_visa_passports_software")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visa_passports")),
    )
    with op.batch_alter_table("visa_passports", schema=None) as batch_op:
        batch_op.create_index("ix_visa_passports_session", ["owner", "session"], unique=False)
        batch_op.create_index(batch_op.f("ix_visa_passports_software"), ["software"], unique=False)

    op.create_table(
        "visa_passport_experiments",
        sa.Column("passport_id", sa.Integer(), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["passport_id"],
            ["visa_passports.id"],
            name=op.f("fk_visa_passport_experiments_passport_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("passport_id", "experiment", name=op.f("pk_visa_passport_experiments")),
    )
    with op.batch_alter_table("visa_passport_experiments", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_visa_passport_experiments_experiment"), ["experiment"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("visa_passport_experiments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_passport_experiments_experiment"))

    op.drop_table("visa_passport_experiments")
    with op.batch_alter_table("visa_passports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_visa_passports_software"))
        batch_op.drop_index("ix_visa_passports_session")

    op.drop_table("visa_passports")
    op.drop_table("visa_software")
