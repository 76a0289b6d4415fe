//! offhook-api
