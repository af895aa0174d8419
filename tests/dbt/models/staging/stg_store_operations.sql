{{ events('store_operations') }}
