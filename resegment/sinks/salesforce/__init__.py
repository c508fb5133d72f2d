"""Salesforce: cadences of Sales Engagement, tasks, contacts and fields of accounts, by its REST API."""
