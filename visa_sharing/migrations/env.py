"""Run by alembic for each migration: on the connection it is given, with our own table of revisions."""

from alembic import context

from visa_sharing.database import Base
from visa_sharing.schema import VERSION_TABLE


def ours(name, kind, _parents):
    """Whether a table of the database is one of ours: the hub's stand beside them."""
    return kind != "table" or name.startswith("visa_")


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_name=ours,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
