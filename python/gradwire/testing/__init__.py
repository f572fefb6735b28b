"""Checks and inputs for tests of gradwire and of what others build on it."""
