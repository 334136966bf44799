-- A login that reads one legacy openIMIS database, and nothing else. Run it once with sqlcmd as an administrator of the server:
--
--   sqlcmd -S old-server -v database=IMIS login=imis_reader password=... -i read-only-login.sql
--
-- It works from SQL Server 2008 on. After the migration: USE [IMIS]; DROP USER [imis_reader]; DROP LOGIN [imis_reader];
:on error exit
USE [master];
GO
CREATE LOGIN [$(login)] WITH PASSWORD = N'$(password)', DEFAULT_DATABASE = [$(database)], CHECK_POLICY = ON;
GO
USE [$(database)];
GO
CREATE USER [$(login)] FOR LOGIN [$(login)];
GO
-- Every row of every table. The old procedures know this spelling as well as the new servers do.
EXEC sp_addrolemember N'db_datareader', N'$(login)';
GO
-- Keys, defaults, checks, views and routines: without it, the catalogue says *not known* where it cannot say *not there*.
GRANT VIEW DEFINITION TO [$(login)];
GO
-- And should anybody give more to a role that everybody is in: no writing, no running.
EXEC sp_addrolemember N'db_denydatawriter', N'$(login)';
GO
DENY EXECUTE TO [$(login)];
DENY ALTER TO [$(login)];
GO
