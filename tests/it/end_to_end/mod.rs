//! From the API to the phone.

mod assignment;
mod programs;
