"""Alembic asks for this file; migrations are run by ``engine.storage.migrations.upgrade``."""
