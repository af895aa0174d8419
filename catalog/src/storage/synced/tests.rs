//! What the synced store promises, on a disk that forgets.

