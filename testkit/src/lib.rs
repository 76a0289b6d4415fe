//! offhook-testkit
