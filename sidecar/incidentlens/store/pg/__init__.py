"""The PostgreSQL store, a file a concern: the statements for one group of tables and the values they hold."""
