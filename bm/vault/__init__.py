"""The stored accounts and keys of clients: in files of this machine, or in a database that several share."""
