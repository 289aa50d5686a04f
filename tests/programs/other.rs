//! A worker program with no tasks of its own: what happens when client and worker were built from different programs.
fn main() {
    quiltwork::init();
    eprintln!("this program only serves as a worker of the cluster tests");
    std::process::exit(2);
}
