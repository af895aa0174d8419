{{ events('store_sales') }}
