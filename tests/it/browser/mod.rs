//! Pages in a real browser.

mod chromium;
mod inbox;
mod settings;
