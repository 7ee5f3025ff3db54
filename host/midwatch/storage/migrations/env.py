"""What Alembic runs: the revisions, over the connection and in the transaction that it is handed."""

from alembic import context

from midwatch.storage.tables import tables

context.configure(connection=context.config.attributes["connection"], target_metadata=tables, transactional_ddl=False)
context.run_migrations()
