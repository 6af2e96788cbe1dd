"""The program: settings, the domain, and the roles that run it."""
