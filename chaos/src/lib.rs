//! offhook-chaos
