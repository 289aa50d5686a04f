use quiltwork::Graph;

#[quiltwork::task]
fn count(path: String) -> u64 {
    path.len() as u64
}

#[quiltwork::task]
fn load(path: String) -> f64 {
    path.len() as f64
}

#[quiltwork::task]
fn merge(parts: Vec<u64>) -> u64 {
    parts.iter().sum()
}

fn main() {
    let mut graph = Graph::new();
    let one = graph.add(load("a"));
    graph.add(merge(vec![one]));
    graph.add(count(one));
    let counted = graph.add(count("a"));
    graph.add(merge(counted));
}
