//! An order book as an actor: traders in several processes send it their orders, and it matches them one at a time.
//!
//! Run it: `cargo run --release --example order_book`. Expected output (how many shares change hands depends
//! on who comes first):
//!
//! ```text
//! 6 traders placed 3000 orders; 2113 shares changed hands
//! every share that was bought was sold
//! best bid 98, best ask 99
//! ```
use quiltwork::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const TRADERS: u64 = 6;
const ORDERS: u64 = 500;

/// Buys or sells at this price or a better one.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Order {
    buys: bool,
    price: u32,
    shares: u64,
}

/// What nobody has taken yet: shares by price.
#[derive(Default)]
struct Book {
    bids: BTreeMap<u32, u64>,
    asks: BTreeMap<u32, u64>,
}

#[quiltwork::actor]
impl Book {
    fn new() -> Self {
        Self::default()
    }

    /// Matches an order with what is there and keeps the rest; returns how many shares changed hands.
    fn place(&mut self, order: Order) -> u64 {
        let mut left = order.shares;
        while left > 0 {
            let best = if order.buys { self.asks.first_entry() } else { self.bids.last_entry() };
            let is_good = |price: u32| if order.buys { price <= order.price } else { price >= order.price };
            let Some(mut best) = best.filter(|entry| is_good(*entry.key())) else { break };
            let taken = left.min(*best.get());
            left -= taken;
            *best.get_mut() -= taken;
            if *best.get() == 0 {
                best.remove();
            }
        }
        if left > 0 {
            let side = if order.buys { &mut self.bids } else { &mut self.asks };
            *side.entry(order.price).or_default() += left;
        }
        order.shares - left
    }

    /// The best prices, and shares that wait on both sides.
    fn depth(&self) -> (Option<u32>, Option<u32>, u64, u64) {
        let best = (self.bids.keys().next_back().copied(), self.asks.keys().next().copied());
        (best.0, best.1, self.bids.values().sum(), self.asks.values().sum())
    }
}

/// Places its orders without waiting in between: they are matched in their order. Returns shares it wanted to buy and to
/// sell, and those that changed hands at once.
#[quiltwork::task]
fn trade(book: Actor<Book>, seed: u64) -> quiltwork::Result<(u64, u64, u64)> {
    let client = Client::current()?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (mut bought, mut sold, mut placed) = (0, 0, Vec::new());
    for _ in 0..ORDERS {
        let (buys, shares) = (dice.random_bool(0.5), dice.random_range(1..10));
        let price = if buys { dice.random_range(90..102) } else { dice.random_range(98..110) };
        *if buys { &mut bought } else { &mut sold } += shares;
        placed.push(client.submit(book.place(Order { buys, price, shares })));
    }
    let matched = placed.iter().map(Handle::wait).sum::<quiltwork::Result<u64>>()?;
    Ok((bought, sold, matched))
}

#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let cluster = LocalCluster::builder().workers(3).start().await?;
    let client = cluster.client();
    let book = client.actor(Book::create().named("book"));
    let traders = client.map(0..TRADERS, |seed| trade(&book, seed));
    let (mut bought, mut sold, mut matched) = (0, 0, 0);
    for (buys, sells, at_once) in client.gather(traders).await? {
        bought += buys;
        sold += sells;
        matched += at_once;
    }
    let (bid, ask, wanted, offered) = client.submit(book.depth()).await?;
    println!("{TRADERS} traders placed {} orders; {matched} shares changed hands", TRADERS * ORDERS);
    // A match takes as many shares from one side as from the other.
    assert_eq!((bought - matched - wanted, sold - matched - offered), (0, 0));
    println!("every share that was bought was sold");
    println!("best bid {}, best ask {}", bid.unwrap_or_default(), ask.unwrap_or_default());
    Ok(())
}
