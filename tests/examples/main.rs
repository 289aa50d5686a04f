//! The examples as their users run them: started as programs, judged by what they print.
mod join_logs;
mod programs;
mod train_digits;
mod word_count;
