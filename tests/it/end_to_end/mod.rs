//! From the API, or from a line of SQL, to the phone.

mod assignment;
mod members;
mod programs;
mod test_send;
