//! Calls that we place.
