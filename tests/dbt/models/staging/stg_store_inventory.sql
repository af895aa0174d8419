{{ events('store_inventory') }}
