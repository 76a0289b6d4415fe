//! offhook-store
