//! Regions, prefectures, communes and quartiers of Guinea.
