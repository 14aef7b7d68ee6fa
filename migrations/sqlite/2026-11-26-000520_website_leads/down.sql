DROP TABLE website_lead_requests;
