//! offhook-actors
