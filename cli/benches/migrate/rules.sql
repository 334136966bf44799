CREATE TABLE "tblInsuree" ("InsureeID" integer, "uuid" uuid, "FamilyID" integer, "insurance_number" varchar(12), "last_name" varchar(100),
  "other_names" varchar(40), "DOB" date, "Gender" varchar(1), "IsHead" boolean, "PhotoID" integer, "PhotoDate" date, "status" varchar(2),
  "ValidityFrom" timestamp, "ValidityTo" timestamp, "LegacyID" integer, "audit" integer, "isOffline" boolean, "GeoLocation" varchar(250),
  "CurrentVillage" integer, "Vulnerability" boolean)
