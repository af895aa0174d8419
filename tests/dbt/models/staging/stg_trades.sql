{{ events('trades') }}
