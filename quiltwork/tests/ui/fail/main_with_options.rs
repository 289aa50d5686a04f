#[quiltwork::main(flavor = "multi_thread")]
async fn main() {
    std::future::ready(()).await;
}
