//! The examples as their users run them: started as programs, judged by what they print.
mod image_features;
mod join_logs;
mod programs;
mod sort_records;
mod train_digits;
mod word_count;
