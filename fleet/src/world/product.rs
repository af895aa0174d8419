//! What machines and stores sell.

/// A product. Prices are list prices in EUR, taxes included, in cents.
#[derive(Debug)]
pub struct Product {
    /// What people call it.
    pub name: &'static str,
    /// Brand, invented.
    pub brand: &'static str,
    /// What kind of product it is.
    pub category: &'static str,
    /// List price, cents.
    pub price: i64,
    /// Tax in the price, percent.
    pub tax: i64,
    /// How long it keeps, days.
    pub shelf_life: i64,
    /// Does it spoil when it is warm?
    pub cold: bool,
}

macro_rules! products {
    ($($name:literal $brand:literal $category:literal $price:literal $tax:literal $days:literal $cold:literal)+) => {
        /// Every product.
        pub const PRODUCTS: &[Product] = &[$(Product {
            name: $name, brand: $brand, category: $category, price: $price, tax: $tax,
            shelf_life: $days, cold: $cold,
        }),+];
    };
}

products! {
    "Cola 0.5 l" "Brausia" "soft_drink" 220 20 270 false
    "Cola Zero 0.5 l" "Brausia" "soft_drink" 220 20 270 false
    "Orange Soda 0.5 l" "Brausia" "soft_drink" 210 20 270 false
    "Lemon Soda 0.5 l" "Brausia" "soft_drink" 210 20 270 false
    "Elderflower Soda 0.5 l" "Wiesenquell" "soft_drink" 230 20 240 false
    "Iced Tea Peach 0.5 l" "Teekanten" "soft_drink" 220 20 300 false
    "Iced Tea Lemon 0.5 l" "Teekanten" "soft_drink" 220 20 300 false
    "Mate 0.5 l" "Klubhaus" "soft_drink" 240 20 365 false
    "Still Water 0.5 l" "Wiesenquell" "water" 150 20 365 false
    "Sparkling Water 0.5 l" "Wiesenquell" "water" 150 20 365 false
    "Apple Juice 0.33 l" "Obsthof" "juice" 240 20 180 false
    "Orange Juice 0.33 l" "Obsthof" "juice" 260 20 120 false
    "Energy Drink 0.25 l" "Voltar" "energy_drink" 280 20 540 false
    "Energy Drink Sugar Free 0.25 l" "Voltar" "energy_drink" 280 20 540 false
    "Iced Coffee 0.25 l" "Bergkaffee" "dairy" 260 10 45 true
    "Chocolate Milk 0.33 l" "Almgut" "dairy" 220 10 30 true
    "Yoghurt Drink 0.25 l" "Almgut" "dairy" 230 10 25 true
    "Potato Crisps Salt" "Knusper" "snack" 190 10 120 false
    "Potato Crisps Paprika" "Knusper" "snack" 190 10 120 false
    "Tortilla Chips" "Knusper" "snack" 200 10 150 false
    "Salted Peanuts" "Nussini" "snack" 180 10 240 false
    "Trail Mix" "Nussini" "snack" 230 10 240 false
    "Pretzel Sticks" "Knusper" "snack" 150 10 180 false
    "Beef Jerky" "Hofstube" "snack" 320 10 200 false
    "Chocolate Bar Milk" "Cacaoli" "sweets" 160 10 240 false
    "Chocolate Bar Hazelnut" "Cacaoli" "sweets" 170 10 240 false
    "Chocolate Wafer" "Cacaoli" "sweets" 150 10 240 false
    "Caramel Bar" "Cacaoli" "sweets" 160 10 240 false
    "Fruit Gums" "Gummio" "sweets" 180 10 365 false
    "Chewing Gum" "Gummio" "sweets" 130 10 540 false
    "Granola Bar" "Kornfeld" "sweets" 190 10 180 false
    "Protein Bar" "Kornfeld" "sweets" 290 10 270 false
    "Oat Cookies" "Kornfeld" "sweets" 200 10 150 false
    "Ham Sandwich" "Hofstube" "fresh_food" 420 10 4 true
    "Cheese Sandwich" "Hofstube" "fresh_food" 390 10 4 true
    "Falafel Wrap" "Hofstube" "fresh_food" 460 10 4 true
    "Chicken Salad" "Gruenzeug" "fresh_food" 590 10 3 true
    "Pasta Salad" "Gruenzeug" "fresh_food" 490 10 4 true
    "Fruit Cup" "Gruenzeug" "fresh_food" 350 10 3 true
    "Hummus and Bread" "Gruenzeug" "fresh_food" 380 10 6 true
}
