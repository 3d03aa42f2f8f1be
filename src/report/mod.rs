//! Everything that a person or a program reads: bars, lines, JSON and tables. Knows events and plans only.
