"""Read who visits and joins: calls of your site and product, and persons."""
