//! offhook-config
