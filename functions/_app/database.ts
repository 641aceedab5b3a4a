/**
 * The types of the database, in the format of `supabase gen types typescript`. Change them with the migrations.
 *
 * @module
 */

/** Any JSON value. */
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

/** The schema that the migrations create. Clients and pools take it as their type parameter. */
export type Database = {
  __InternalSupabase: {
    PostgrestVersion: "13.0.5";
  };
  public: {
    Tables: {
      budgets: {
        Row: {
          created_at: string;
          currency: string;
          id: string;
          name: string;
          updated_at: string;
          user_id: string;
        };
        Insert: {
          created_at?: string;
          currency?: string;
          id?: string;
          name: string;
          updated_at?: string;
          user_id?: string;
        };
        Update: {
          created_at?: string;
          currency?: string;
          id?: string;
          name?: string;
          updated_at?: string;
          user_id?: string;
        };
        Relationships: [];
      };
      categories: {
        Row: {
          balance: number;
          budget_id: string;
          created_at: string;
          id: string;
          name: string;
          position: number;
          updated_at: string;
          user_id: string;
        };
        Insert: {
          balance?: number;
          budget_id: string;
          created_at?: string;
          id?: string;
          name: string;
          position?: number;
          updated_at?: string;
          user_id?: string;
        };
        Update: {
          balance?: number;
          budget_id?: string;
          created_at?: string;
          id?: string;
          name?: string;
          position?: number;
          updated_at?: string;
          user_id?: string;
        };
        Relationships: [
          {
            foreignKeyName: "categories_budget_id_user_id_fkey";
            columns: ["budget_id", "user_id"];
            isOneToOne: false;
            referencedRelation: "budgets";
            referencedColumns: ["id", "user_id"];
          },
        ];
      };
      templates: {
        Row: {
          categories: string[];
          created_at: string;
          description: string;
          id: string;
          name: string;
          published: boolean;
          updated_at: string;
        };
        Insert: {
          categories?: string[];
          created_at?: string;
          description?: string;
          id?: string;
          name: string;
          published?: boolean;
          updated_at?: string;
        };
        Update: {
          categories?: string[];
          created_at?: string;
          description?: string;
          id?: string;
          name?: string;
          published?: boolean;
          updated_at?: string;
        };
        Relationships: [];
      };
      transfers: {
        Row: {
          amount: number;
          budget_id: string;
          created_at: string;
          from_category_id: string;
          id: string;
          idempotency_key: string;
          to_category_id: string;
          user_id: string;
        };
        Insert: {
          amount: number;
          budget_id: string;
          created_at?: string;
          from_category_id: string;
          id?: string;
          idempotency_key: string;
          to_category_id: string;
          user_id?: string;
        };
        Update: {
          amount?: number;
          budget_id?: string;
          created_at?: string;
          from_category_id?: string;
          id?: string;
          idempotency_key?: string;
          to_category_id?: string;
          user_id?: string;
        };
        Relationships: [
          {
            foreignKeyName: "transfers_budget_id_user_id_fkey";
            columns: ["budget_id", "user_id"];
            isOneToOne: false;
            referencedRelation: "budgets";
            referencedColumns: ["id", "user_id"];
          },
          {
            foreignKeyName: "transfers_from_category_id_budget_id_fkey";
            columns: ["from_category_id", "budget_id"];
            isOneToOne: false;
            referencedRelation: "categories";
            referencedColumns: ["id", "budget_id"];
          },
          {
            foreignKeyName: "transfers_to_category_id_budget_id_fkey";
            columns: ["to_category_id", "budget_id"];
            isOneToOne: false;
            referencedRelation: "categories";
            referencedColumns: ["id", "budget_id"];
          },
        ];
      };
    };
    Views: { [_ in never]: never };
    Functions: {
      reorder_categories: {
        Args: { p_budget_id: string; p_category_ids: string[] };
        Returns: {
          balance: number;
          budget_id: string;
          created_at: string;
          id: string;
          name: string;
          position: number;
          updated_at: string;
          user_id: string;
        }[];
      };
    };
    Enums: { [_ in never]: never };
    CompositeTypes: { [_ in never]: never };
  };
};

type PublicTables = Database["public"]["Tables"];

/** A row of a table. */
export type Tables<Name extends keyof PublicTables> = PublicTables[Name]["Row"];

/** The columns of a new row of a table. */
export type TablesInsert<Name extends keyof PublicTables> = PublicTables[Name]["Insert"];

/** The columns of a row of a table that can be changed. */
export type TablesUpdate<Name extends keyof PublicTables> = PublicTables[Name]["Update"];

/** A user's budget. */
export type Budget = Tables<"budgets">;

/** A category of a budget. */
export type Category = Tables<"categories">;

/** A budget template. */
export type Template = Tables<"templates">;

/** A transfer between two categories of a budget. */
export type Transfer = Omit<Tables<"transfers">, "idempotency_key" | "user_id">;
