{{ events('vending_inventory') }}
