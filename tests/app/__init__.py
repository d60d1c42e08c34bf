"""Tests of the top floor: configuration, assembly, daemon, tool."""
