//! offhook-transports
