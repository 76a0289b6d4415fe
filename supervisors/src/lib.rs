//! offhook-supervisors
