"""Run by alembic; the connection, and its transaction, come from ``engine.storage.migrations.upgrade``."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
