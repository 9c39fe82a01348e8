//! Tag bodies to frames and codec configurations, Enhanced RTMP included.
