//! The vector of offsets that every table carries.
