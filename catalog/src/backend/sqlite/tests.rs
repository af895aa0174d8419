//! The pointer on a real SQLite file.

